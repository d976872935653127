// What an editor shows: TypeScript's own language server, asked over its protocol what stands at a name.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export interface LanguageService {
  /** What is shown at `const name`, `name` or, with `after`, at the first such place behind that text; on one line. */
  hover(name: string, after?: string): Promise<string>;
  /** What is underlined. */
  errors(): Promise<string[]>;
  close(): Promise<void>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly items?: readonly unknown[] };
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** A server that has one file open, of a browser project where `ringback/…` is this package's source. */
export async function openLanguageService(text: string): Promise<LanguageService> {
  const folder = mkdtempSync(join(tmpdir(), "ringback-hover-"));
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    target: "ES2022",
    lib: ["ES2023", "DOM"],
    module: "ESNext",
    moduleResolution: "bundler",
    allowImportingTsExtensions: true,
    types: [],
    paths: { "ringback/*": [join(root, "src/*.ts")] },
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["app.ts"] }));
  const file = join(folder, "app.ts");
  writeFileSync(file, text);
  const uri = pathToFileURL(file).href;
  const server = spawn(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "--lsp", "--stdio"], {
    cwd: folder,
    stdio: ["pipe", "pipe", "ignore"],
  });
  const ended = once(server, "exit");
  const waiting = new Map<number, (answer: Message) => void>();
  const send = (message: object): void => {
    const body = JSON.stringify({ jsonrpc: "2.0", ...message });
    server.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  };
  onMessage(server.stdout, ({ id, method, params, ...answer }) => {
    if (id === undefined) return;
    // What the server asks of its editor: settings, of which there are none.
    if (method !== undefined) send({ id, result: params?.items?.map(() => null) ?? null });
    else waiting.get(id)?.(answer);
  });
  let asked = 0;
  const ask = async (method: string, params?: object): Promise<unknown> => {
    const id = ++asked;
    const answered = new Promise<Message>((resolve) => waiting.set(id, resolve));
    send({ id, method, params });
    const { result, error } = await Promise.race([answered, ended.then(() => ({ error: { message: "the server has ended" } }) as Message)]);
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  };

  const textDocument = { hover: { contentFormat: ["plaintext"] }, diagnostic: {} };
  await ask("initialize", { processId: process.pid, rootUri: pathToFileURL(folder).href, capabilities: { textDocument } });
  send({ method: "initialized", params: {} });
  send({ method: "textDocument/didOpen", params: { textDocument: { uri, languageId: "typescript", version: 1, text } } });
  return {
    async hover(name, after = "") {
      const from = text.indexOf(after);
      const at = from + new RegExp(`\\b${name}\\b`).exec(text.slice(from + after.length))!.index + after.length;
      const lines = text.slice(0, at).split("\n");
      const position = { line: lines.length - 1, character: lines.at(-1)?.length };
      const shown = (await ask("textDocument/hover", { textDocument: { uri }, position })) as { contents: { value: string } } | null;
      return shown?.contents.value.replaceAll(/\s+/g, " ") ?? "nothing";
    },
    async errors() {
      const report = (await ask("textDocument/diagnostic", { textDocument: { uri } })) as { items: { message: string }[] };
      return report.items.map(({ message }) => message);
    },
    async close() {
      await ask("shutdown");
      server.stdin.end();
      server.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Messages as the protocol frames them. */
function onMessage(stream: NodeJS.ReadableStream, tell: (message: Message) => void): void {
  let bytes = Buffer.alloc(0);
  stream.on("data", (part: Buffer) => {
    bytes = Buffer.concat([bytes, part]);
    for (;;) {
      const headEnd = bytes.indexOf("\r\n\r\n");
      const length = Number(/Content-Length: (\d+)/i.exec(bytes.toString("latin1", 0, Math.max(headEnd, 0)))?.[1]);
      if (headEnd < 0 || bytes.length < headEnd + 4 + length) return;
      tell(JSON.parse(bytes.toString("utf8", headEnd + 4, headEnd + 4 + length)) as Message);
      bytes = bytes.subarray(headEnd + 4 + length);
    }
  });
}
