// The commands, in the order help lists them. A new one is a file here and a line below.

import type { Declare } from "../command.ts";
import { declareCancel } from "./cancel.ts";
import { declareDev } from "./dev.ts";
import { declareDoctor } from "./doctor.ts";
import { declareHooks } from "./hooks.ts";
import { declareKeys } from "./keys.ts";
import { declarePurge } from "./purge.ts";
import { declareRedeliver } from "./redeliver.ts";
import { declareRefused } from "./refused.ts";
import { declareResume } from "./resume.ts";
import { declareRun } from "./run.ts";
import { declareRuns } from "./runs.ts";

export const commands: readonly Declare[] = [
  declareDev,
  declareRuns,
  declareRun,
  declareHooks,
  declareResume,
  declareCancel,
  declareRefused,
  declareRedeliver,
  declarePurge,
  declareKeys,
  declareDoctor,
];
