import { defineHandler } from "nitro/h3";
import { getRun } from "workflow/api";

export default defineHandler(async ({ context, res }) => {
  try {
    return await getRun(context.params.run).returnValue;
  } catch (error) {
    console.error(error);
    res.status = 500;
    return { error: String(error) };
  }
});
