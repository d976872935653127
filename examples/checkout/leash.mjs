// Loaded into the demo's processes before anything else. However the demo ends, they end with it; Ctrl-C is the demo's to answer.

process.once("disconnect", () => process.exit(1));
process.channel?.unref();
for (const signal of ["SIGINT", "SIGHUP"]) process.on(signal, () => {});
