// `ringback redeliver`: delivers what was refused once more.

import { plain } from "../columns.ts";
import { type Call, type Declare, type Globals, withEngine } from "../command.ts";
import { type ExitCode, exitCode } from "../failure.ts";

export const declareRedeliver: Declare = (root, { action }) => {
  root
    .command("redeliver")
    .description("Deliver a refused delivery once more, as it came, to the hook that has its address now.")
    .argument("<delivery>", 'Its id, as "refused" lists it.')
    .addHelpText(
      "after",
      "\nIts sender is not told. Exits with 1 where it is refused again; it is kept then.\n\nExample:\n  $ npx ringback redeliver dlv_2f",
    )
    .action(action(redeliver));
};

async function redeliver({ terminal, args, options }: Call<Globals>): Promise<ExitCode> {
  const [id = ""] = args;
  const receipt = await withEngine(options, (engine) => engine.redeliver(id));
  const { disposition, by, issues = [] } = receipt;
  const isTaken = disposition === "accepted" || disposition === "duplicate";
  if (options.json) terminal.json(receipt);
  else if (disposition === "accepted") terminal.line(`${plain(id)} is delivered.`);
  else if (disposition === "duplicate")
    terminal.line(`${plain(id)} had been taken before under its key: nothing has changed, and it is kept no longer.`);
  else {
    const why = {
      closed: `its hook is closed (${by})`,
      invalid: issues.map(({ message }) => message).join("; "),
      unknown: "no hook has its address",
    };
    terminal.note(`${plain(id)} is refused again: ${plain(why[disposition as keyof typeof why] ?? disposition)}. It is kept on.`);
  }
  return isTaken ? exitCode.done : exitCode.failed;
}
