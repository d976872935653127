// Event listeners that workflow code adds, such as those of an `AbortSignal`.
//
// A listener runs in the context of whoever dispatches the event. One that a run's code added is called in that run's context instead:
// else an abort in the turn of one run would let another run's code write into the wrong journal, and nothing could tell.

import { AsyncResource } from "node:async_hooks";
import { type Inside, patch } from "./patch.ts";

type Listener = ((this: unknown, event: unknown) => unknown) | { handleEvent(event: unknown): unknown };
type Method = (this: EventTarget, type: unknown, listener: unknown, options?: unknown) => void;

const bound = new WeakMap<EventTarget, WeakMap<object, Listener>>();

export function patchListeners(inside: Inside): void {
  const prototype = EventTarget.prototype;
  const add = prototype.addEventListener as unknown as Method;
  const remove = prototype.removeEventListener as unknown as Method;
  patch(prototype, "addEventListener", function addBound(this: EventTarget, type: unknown, listener: unknown, options?: unknown) {
    const mine = isListener(listener) && (boundOf(this, listener) ?? (inside() ? bind(this, listener) : null));
    add.call(this, type, mine || listener, options);
  });
  patch(prototype, "removeEventListener", function removeBound(this: EventTarget, type: unknown, listener: unknown, options?: unknown) {
    const mine = isListener(listener) && boundOf(this, listener);
    if (mine) remove.call(this, type, mine, options);
    remove.call(this, type, listener, options);
  });
}

function isListener(value: unknown): value is Listener {
  return typeof value === "function" || (typeof value === "object" && value !== null);
}

function boundOf(target: EventTarget, listener: Listener): Listener | null {
  return bound.get(target)?.get(listener) ?? null;
}

/** One for a listener at a target, as the target itself knows a listener once. */
function bind(target: EventTarget, listener: Listener): Listener {
  const mine = AsyncResource.bind(function listen(this: unknown, event: unknown): unknown {
    return typeof listener === "function" ? listener.call(this, event) : listener.handleEvent(event);
  });
  const listeners = bound.get(target) ?? new WeakMap<object, Listener>();
  bound.set(target, listeners.set(listener, mine));
  return mine;
}
