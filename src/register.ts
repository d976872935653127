// `ringback/register`: what `node --import ringback/register app.ts` loads. Files are compiled as they are loaded, and the realm is there
// before any code of the app's.

import "./runtime/first.ts";
import { register } from "./styles/directives/register.ts";

register();
