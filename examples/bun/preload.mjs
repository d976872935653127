import { plugin } from "bun";
import { workflow } from "workflow/bun";

await plugin(workflow());
