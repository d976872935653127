import { getRun } from "workflow/api";

export async function GET(_: Request, { params }: { params: Promise<{ run: string }> }) {
  const { run } = await params;
  try {
    return Response.json(await getRun(run).returnValue);
  } catch (error) {
    console.error(error);
    return Response.json({ error: String(error) }, { status: 500 });
  }
}
