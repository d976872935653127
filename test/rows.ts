// What a SQLite file holds, as a stranger counts it.

import { prepare, loadDriver } from "../src/store/sqlite/driver.ts";

/** Rows of each table; not of those that hold refused deliveries, which are kept for people and reach no run. */
export async function rowsIn(path: string): Promise<{ readonly [table: string]: number }> {
  const database = new (await loadDriver())(path);
  try {
    const tables = prepare(database, "select name from sqlite_master where type='table' and name not like 'held%' order by name").all() as [
      string,
    ][];
    const counted = tables.map(([name]) => [name, Number((prepare(database, `select count(*) from "${name}"`).get() as [number])[0])]);
    return Object.fromEntries(counted) as { [table: string]: number };
  } finally {
    database.close();
  }
}
