// All reader programs.

import type { Program } from "./program.ts";
import { basic } from "./program-basic.ts";
import { conversation } from "./program-conversation.ts";
import { nested } from "./program-nested.ts";
import { work } from "./program-work.ts";

export const programs: readonly Program[] = [...basic, ...nested, ...conversation, ...work];
