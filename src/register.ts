// `ringback/register`: what `node --import ringback/register app.ts` loads. Files are compiled as they are loaded, the realm is there before
// any code of the app's, and runs that an earlier process left go on when the app's workflows are declared.

import { compiled } from "./runtime/first.ts";
import { register } from "./styles/directives/register.ts";

if (register()) compiled.goOn();
