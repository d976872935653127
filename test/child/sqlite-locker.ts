// A process of its own that holds a SQLite file's write lock from its start until it is told to let go.

import { once } from "node:events";
import { loadDriver } from "../../src/store/sqlite/driver.ts";

const database = new (await loadDriver())(process.argv[2]!);
database.exec("begin exclusive");
process.stdout.write("held\n");
await once(process.stdin, "data");
database.exec("rollback");
database.close();
process.stdout.write("free\n");
process.stdin.destroy();
