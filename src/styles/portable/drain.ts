// Waiting until code rests, by what the platform has: microtasks run before the next macrotask.

export function drain(): Promise<void> {
  return new Promise((resolve) => {
    const { setImmediate, MessageChannel } = globalThis as {
      setImmediate?: (ring: () => void) => void;
      MessageChannel?: typeof globalThis.MessageChannel;
    };
    if (setImmediate) return setImmediate(resolve);
    if (!MessageChannel) return setTimeout(resolve, 0);
    const { port1, port2 } = new MessageChannel();
    port1.addEventListener("message", () => resolve(port1.close()));
    port1.start();
    port2.postMessage(null);
  });
}
