// Puts the app into the example that is the current folder, as if it had been written there.

import { cpSync } from "node:fs";
import { fileURLToPath } from "node:url";

cpSync(fileURLToPath(new URL("src", import.meta.url)), "order-app", { recursive: true });
