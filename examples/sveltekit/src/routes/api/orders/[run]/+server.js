import { json } from "@sveltejs/kit";
import { getRun } from "workflow/api";

export async function GET({ params }) {
  try {
    return json(await getRun(params.run).returnValue);
  } catch (error) {
    console.error(error);
    return json({ error: String(error) }, { status: 500 });
  }
}
