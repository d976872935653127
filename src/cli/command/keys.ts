// `ringback keys rotate`: a new key for new tokens; the old ones stay for those that are out.

import type { KeyState } from "../../api.ts";
import { type Call, type Declare, withEngine } from "../command.ts";

export const declareKeys: Declare = (root, { action }) => {
  const keys = root.command("keys").description("Look after the keys that tokens are made with.");
  keys
    .command("rotate")
    .description("Add a new key for new tokens. Old keys stay: hooks that are open need them.")
    .addHelpText(
      "after",
      `
Where RINGBACK_KEYS is set it stays as it is: the new value is printed, for you to set. Else the key file beside the database is changed.
Processes use the new key from their next start; give all of them the new value before you start the first.

Example:
  $ npx ringback keys rotate`,
    )
    .action(action(rotate));
};

async function rotate({ terminal, options }: Call): Promise<void> {
  const { rotated, before } = await withEngine(options, async (engine) => {
    const { keys } = await engine.diagnose();
    return { before: keys, rotated: await engine.rotateKeys() };
  });
  const used = before.filter((key) => key.isUsed).map((key) => key.kid);
  const { kid, file, keys } = rotated;
  if (options.json) return terminal.json({ kid, file, keys, used });
  if (keys === null) {
    terminal.line(`Key ${kid} is now the current one in ${file}.`);
    terminal.line("Restart the app: tokens are made with the new key from then on.");
  } else {
    terminal.line(`RINGBACK_KEYS=${keys}`);
    terminal.note(`Set this value, with key ${kid} first, for every process, then restart them. It is a secret.`);
  }
  terminal.note(usedText(before));
}

function usedText(keys: readonly KeyState[]): string {
  const used = keys.filter((key) => key.isUsed).map((key) => key.kid);
  const unused = keys.filter((key) => !key.isUsed).map((key) => key.kid);
  const stay =
    used.length === 0 ? "No open hook needs an older key" : `Open hooks need ${used.join(", ")}: keep ${used.length === 1 ? "it" : "them"}`;
  return `${stay}.${unused.length === 0 ? "" : ` Not needed by any: ${unused.join(", ")}.`}`;
}
