import { getRun } from "workflow/api";

export const prerender = false;

export async function GET({ params }) {
  try {
    return Response.json(await getRun(params.run).returnValue);
  } catch (error) {
    console.error(error);
    return Response.json({ error: String(error) }, { status: 500 });
  }
}
