// Turns each directive function, and what else needs a name, into a call of the runtime.
//
// A declaration stays where it is, and its name is given the durable function as the first thing in its block, so that it is hoisted as
// before. An expression is wrapped where it stands. A step that reads names of functions around it becomes a function of those names: each
// call gets copies, as a body that runs again elsewhere does.

import { createHash } from "node:crypto";
import { isBuiltin } from "node:module";
import type { CallExpression, Class, MethodDefinition, Node, ObjectProperty } from "oxc-parser";
import type { ScopeTrackerNode } from "oxc-walker";
import type { Declared, ModuleToCompile } from "../transform.ts";
import { nameHook, nameSchema, type NamedSchema, type Naming } from "./definition.ts";
import { type AnyFunction, isFunction, type Kind, runtimeName } from "./directive.ts";
import type { Edits } from "./edit.ts";
import type { Frame, Frames } from "./frame.ts";
import { defaultPackages, isRuntimeModule } from "./import.ts";
import { anonymous, keyText, nameIn } from "./name.ts";
import { refused, type Warning } from "./notice.ts";
import { sidesToBranch } from "./race.ts";
import type { Path, Source } from "./source.ts";

const root = "";
const idMark = /@ringback\s+id\s+(\S+)/;

type MutableDeclared = { -readonly [kind in keyof Declared]: string[] };

export class Rewriter {
  readonly declared: MutableDeclared = { workflows: [], steps: [], hooks: [] };
  readonly warnings: Warning[] = [];
  readonly #source: Source;
  readonly #frames: Frames;
  readonly #edits: Edits;
  readonly #given: ModuleToCompile;
  readonly #packages: readonly string[];
  readonly #references = new Map<Node, ScopeTrackerNode | null>();
  /** What the workflows call of what they import, as written. */
  readonly #called = new Set<string>();
  readonly #schemas: NamedSchema[] = [];
  /** What comments say, by where the code after them begins. */
  readonly #givenIds = new Map<number, string>();
  readonly #idCounts = new Map<string, number>();
  /** What compiled code calls its runtime. */
  readonly #name: string;
  #isNeeded = false;

  constructor(source: Source, frames: Frames, edits: Edits, given: ModuleToCompile) {
    this.#source = source;
    this.#frames = frames;
    this.#edits = edits;
    this.#given = given;
    this.#name = runtimeName(source.code);
    this.#packages = given.packages ?? defaultPackages;
    const { comments, code } = source;
    comments.forEach(({ value }, index) => {
      const id = idMark.exec(value)?.[1];
      if (id !== undefined) this.#givenIds.set(startAfter(code, comments, index), id);
    });
  }

  refer(name: string, node: Node, declared: ScopeTrackerNode | null, path: Path): void {
    this.#references.set(node, declared);
    if (declared === null) return;
    if (declared.scope !== root && isValue(declared)) this.#capture(name, node, declared, path);
    if (declared.type === "Import" && this.#frames.marked?.kind === "workflow") this.#note(name, node, declared, path);
  }

  leave(node: Node, path: Path, frame: Frame | null): void {
    if (frame?.kind && isFunction(node)) this.#mark(node, frame.kind, frame, path);
    else if (node.type === "CallExpression") this.#leaveCall(node, path);
    else if (node.type === "ClassBody") this.#leaveClass(path.at(-1) as Class, path.slice(0, -1));
    else if (node.type === "Program") this.#leaveProgram(node);
  }

  #capture(name: string, node: Node, declared: ScopeTrackerNode, path: Path): void {
    const parent = path.at(-1);
    const isWritten = (parent?.type === "AssignmentExpression" && parent.left === node) || parent?.type === "UpdateExpression";
    for (const step of this.#frames.capturing(declared)) {
      step.captured.add(name);
      if (isWritten)
        this.#warn(
          node,
          `A step gets a copy of "${name}", so what it writes there is lost. Return the value, and assign it in the workflow.`,
        );
    }
  }

  /** An imported function that a workflow calls, directly or as a member of its module. */
  #note(name: string, node: Node, declared: ScopeTrackerNode, path: Path): void {
    if (declared.type !== "Import") return;
    const from = declared.importNode.source.value;
    if (isRuntimeModule(from, this.#packages) || isBuiltin(from)) return;
    const [parent, outer] = [path.at(-1), path.at(-2)];
    if (parent?.type === "CallExpression" && parent.callee === node) this.#called.add(name);
    const isMember =
      parent?.type === "MemberExpression" && parent.object === node && !parent.computed && parent.property.type === "Identifier";
    if (isMember && outer?.type === "CallExpression" && outer.callee === parent) this.#called.add(`${name}?.${keyText(parent.property)}`);
  }

  #mark(node: AnyFunction, kind: Kind, frame: Frame, path: Path): void {
    const id = this.#idOf(node, path, kind);
    (kind === "workflow" ? this.declared.workflows : this.declared.steps).push(id);
    this.#isNeeded = true;
    const parent = path.at(-1);
    if (parent?.type === "MethodDefinition") return this.#markMethod(node, kind, id, path);
    if (parent?.type === "Property" && (parent.method || parent.kind !== "init"))
      return this.#markObjectMethod(node, kind, id, frame, path);
    if (node.type === "FunctionDeclaration" && node.id) return this.#markDeclaration(node, node.id.name, kind, id, frame, path);
    const [before, after] = this.#around(kind, id, frame, node);
    this.#edits.wrap(node, before, endsStatement(this.#source, node, path) ? `${after};` : after);
  }

  /** What stands around a function expression. */
  #around(kind: Kind, id: string, frame: Frame, node: AnyFunction): readonly [string, string] {
    if (kind === "workflow") return [`${this.#name}.workflow(${quote(id)}, `, `, ${this.#optionsOf(node)})`];
    const names = [...frame.captured].join(", ");
    if (names === "") return [`${this.#name}.step(${quote(id)}, `, ")"];
    return [`${this.#name}.stepOf(${quote(id)}, (${names}) => `, `, () => [${names}])`];
  }

  #markDeclaration(node: AnyFunction, name: string, kind: Kind, id: string, frame: Frame, path: Path): void {
    const isExport = path.at(-1)?.type === "ExportNamedDeclaration" || path.at(-1)?.type === "ExportDefaultDeclaration";
    const block = path.at(isExport ? -2 : -1);
    if (!isBlock(block))
      throw refused(this.#source, node.start, `A ${kind} cannot be declared here. Put the declaration into a block of its own.`);
    if (frame.captured.size > 0) {
      const names = [...frame.captured].join(", ");
      const made = `${this.#name}_${name}`;
      this.#edits.wrap(node, `function ${made}(${names}) { return `, "; }");
      const before = isExport && block.type === "TSModuleBlock" ? "export " : "";
      return this.#edits.atHead(block, `${before}const ${name} = ${this.#name}.stepOf(${quote(id)}, ${made}, () => [${names}]);`);
    }
    const [before, after] = this.#around(kind, id, frame, node);
    this.#edits.atHead(block, `${name} = ${before}${name}${after};`);
  }

  #markMethod(node: AnyFunction, kind: Kind, id: string, path: Path): void {
    const method = path.at(-1) as MethodDefinition;
    const key = this.#keyOf(method, node, kind);
    const target = method.static ? "this" : "this.prototype";
    const call = kind === "workflow" ? "workflowMethod" : method.static ? "stepMethod" : "instanceStep";
    const options = kind === "workflow" ? `, ${this.#optionsOf(node)}` : "";
    this.#edits.inClass(path.at(-2) as Node, `${this.#name}.${call}(${target}, ${quote(key)}, ${quote(id)}${options});`);
  }

  /** The method stays one, in an object of its own, so that it keeps its name. */
  #markObjectMethod(node: AnyFunction, kind: Kind, id: string, frame: Frame, path: Path): void {
    const property = path.at(-1) as ObjectProperty;
    const key = this.#keyOf(property, node, kind);
    if (frame.usesSuper)
      throw refused(
        this.#source,
        node.start,
        `A ${kind} in an object cannot use "super". Make it a method of a class, or name the object.`,
      );
    const [before, after] = this.#around(kind, id, frame, node);
    this.#edits.wrap(property, `${quote(key)}: ${before}({ `, ` })[${quote(key)}]${after}`);
  }

  #keyOf(member: MethodDefinition | ObjectProperty, node: AnyFunction, kind: Kind): string {
    const refuse = (what: string): never => {
      throw refused(this.#source, node.start, what);
    };
    if (member.kind !== "method" && member.kind !== "init")
      refuse(`A ${member.kind === "constructor" ? "constructor" : "getter or setter"} cannot be a ${kind}.`);
    const key = keyText(member.key);
    if (member.key.type === "PrivateIdentifier") refuse(`A private method cannot be a ${kind}: it cannot be replaced. Leave out the "#".`);
    if (key === null || (member.computed && member.key.type !== "Literal"))
      return refuse(`A method with a computed name cannot be a ${kind}: its id would not be known. Give it a plain name.`);
    return key;
  }

  #leaveCall(node: CallExpression, path: Path): void {
    if (this.#frames.marked?.kind !== "step") {
      for (const side of sidesToBranch(node, this.#references)) {
        this.#isNeeded = true;
        this.#edits.wrap(side, `${this.#name}.branch(() => `, ")");
      }
    }
    this.#nameDefinition(node, path);
  }

  #nameDefinition(node: CallExpression, path: Path): void {
    const naming: Naming = {
      edits: this.#edits,
      packages: this.#packages,
      references: this.#references,
      idOf: (named, around) => this.#idOf(named, around, "hook"),
    };
    if (this.#frames.isEmpty) {
      const id = nameHook(node, path, naming);
      if (id !== null) this.declared.hooks.push(id);
    } else if (this.#frames.marked?.kind === "workflow") {
      const schema = nameSchema(node, path, naming, this.#name);
      if (schema) this.#schemas.push(schema);
    }
  }

  /** Classes that say how they are written and read again are known by their place. */
  #leaveClass(node: Class, path: Path): void {
    const text = this.#source.code.slice(node.body.start, node.body.end);
    if (!/WORKFLOW_SERIALIZE|workflow-serialize/.test(text) || !/WORKFLOW_DESERIALIZE|workflow-deserialize/.test(text)) return;
    this.#isNeeded = true;
    this.#edits.atTail(node.body, `${this.#name}.registerClass(${quote(this.#idOf(node, path, "class"))}, this);`);
  }

  #leaveProgram(node: Extract<Node, { type: "Program" }>): void {
    const isDeclaring = Object.values(this.declared).some((ids) => ids.length > 0);
    if (this.#given.isReloading && isDeclaring) this.#edits.atHead(node, `${this.#name}.allowReloading();`, true);
    else if (!this.#isNeeded) return;
    for (const { id, expression } of this.#schemas) {
      this.declared.hooks.push(id);
      // At the end: what the expression reads of the module is there by then.
      const text = this.#source.code.slice(expression.start, expression.end);
      this.#edits.text.append(`\n${this.#name}.schema(${quote(id)}, ${text});`);
    }
    const from = quote(this.#runtime());
    const used = [...this.#called];
    if (used.length > 0) this.#edits.atHead(node, `${this.#name}.callsOf(${quote(this.#given.module)}, () => [${used.join(", ")}]);`);
    const statement = this.#source.isEsm ? `import * as ${this.#name} from ${from};` : `const ${this.#name} = require(${from});`;
    this.#edits.atHead(node, statement, true);
  }

  /** The copy of the package that the module itself imports, so that both are one. */
  #runtime(): string {
    for (const statement of this.#source.program.body) {
      if (statement.type !== "ImportDeclaration" || statement.importKind === "type") continue;
      const name = this.#packages.find((own) => isRuntimeModule(statement.source.value, [own]));
      if (name !== undefined) return `${name}/compiled`;
    }
    return this.#given.runtime ?? "ringback/compiled";
  }

  #optionsOf(node: AnyFunction): string {
    const { module, file } = this.#given;
    const { line } = this.#source.placeOf(node.start);
    const code = createHash("sha256").update(this.#source.code.slice(node.start, node.end)).digest("hex").slice(0, 16);
    const ending = /\.[^./\\]+$/.exec(file)?.[0] ?? "";
    return `{ at: ${quote(`${module}${ending}:${line}`)}, code: ${quote(code)}, module: ${quote(module)} }`;
  }

  /** The id that the author gave, or the module and the name, made unlike all others of the module. */
  #idOf(node: Node, path: Path, kind: Kind | "hook" | "class"): string {
    const given = this.#givenId(node, path);
    if (given !== null) return given;
    const name = nameIn(node, path);
    const plain = `${this.#given.module}//${name}`;
    const count = (this.#idCounts.get(plain) ?? 0) + 1;
    this.#idCounts.set(plain, count);
    const derived = count === 1 ? plain : `${plain}~${count}`;
    const { ids = {} } = this.#given;
    const chosen = Object.hasOwn(ids, derived) ? (ids[derived] as string) : derived;
    if (chosen === derived && (count > 1 || name.split("/").includes(anonymous)))
      this.#warn(
        node,
        `The id of this ${kind}, "${derived}", depends on what stands before it in the file. Name the function, or put /** @ringback id … */ before it.`,
      );
    return chosen;
  }

  /** `@ringback id …` in a comment right before the statement or the member that the function stands in. */
  #givenId(node: Node, path: Path): string | null {
    const starts = new Set([node.start]);
    for (let depth = path.length - 1; depth >= 0; depth--) {
      const ancestor = path[depth] as Node;
      if (isFunction(ancestor) || isBlock(ancestor) || ancestor.type === "ClassBody" || ancestor.type === "ObjectExpression") break;
      starts.add(ancestor.start);
    }
    for (const start of starts) {
      const id = this.#givenIds.get(start);
      if (id !== undefined) return id;
    }
    return null;
  }

  #warn(node: Node, message: string): void {
    this.warnings.push({ ...this.#source.placeOf(node.start), message });
  }
}

/** Where the code after a comment begins; other comments may stand between. */
function startAfter(code: string, comments: Source["comments"], index: number): number {
  for (let next = index; ; next++) {
    let at = comments[next]?.end ?? code.length;
    while (/\s/.test(code.charAt(at))) at++;
    if (comments[next + 1]?.start !== at) return at;
  }
}

/** Functions and classes of a function around are used as they are: no copy of them can be made. */
function isValue(declared: ScopeTrackerNode): boolean {
  if (declared.type !== "Variable") return declared.type === "FunctionParam" || declared.type === "CatchParam";
  const { init } = declared.variableNode.declarations.find(({ id }) => id === declared.node) ?? {};
  return !init || !(isFunction(init) || init.type === "ClassExpression");
}

function isBlock(node: Node | undefined): node is Extract<Node, { type: "Program" | "BlockStatement" | "StaticBlock" | "TSModuleBlock" }> {
  const types = ["Program", "BlockStatement", "StaticBlock", "TSModuleBlock"];
  return node !== undefined && types.includes(node.type);
}

/** What an arrow function may end without a semicolon. */
const endedByLine = new Set([
  "VariableDeclaration",
  "ExpressionStatement",
  "ExportDefaultDeclaration",
  "PropertyDefinition",
  "AccessorProperty",
  "ReturnStatement",
  "ThrowStatement",
]);

/** Whether a call made of the node would swallow the next line, since no semicolon stands between them. */
function endsStatement({ code }: Source, node: Node, path: Path): boolean {
  const depth = path.findLastIndex(({ type }) => endedByLine.has(type));
  const isHead = path[depth - 1]?.type === "ForStatement";
  return !isHead && path[depth]?.end === node.end && code[node.end] !== ";";
}

const quote = JSON.stringify;
