import { getRun } from "workflow/api";

export default defineEventHandler(async (event) => {
  try {
    return await getRun(getRouterParam(event, "run")!).returnValue;
  } catch (error) {
    console.error(error);
    setResponseStatus(event, 500);
    return { error: String(error) };
  }
});
