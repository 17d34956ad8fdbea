/**
 * A subscriber that misses nothing: NOTIFY says when to look, the table says what there is.
 *
 *   DATABASE_URL='postgresql://app@db1,db2,db3/shop' node examples/listen.ts
 *
 * Elsewhere: insert into jobs (what) values ('…'); notify jobs;
 */
import { createPool } from "pg-replica/client";

const pool = createPool(process.env.DATABASE_URL ?? "postgresql://postgres@localhost/postgres");
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());

await pool.query(`create table if not exists jobs (
  id bigserial primary key, what text not null, done boolean not null default false
)`);

let looking: Promise<void> = Promise.resolve();

/** Not by "id > the last one": a lower id may be committed later. A crash before it is marked does a job twice. */
async function look(why: string): Promise<void> {
  const jobs = await pool.query<{ id: bigint; what: string }>(
    "select id, what from jobs where not done order by id",
    [],
    { retry: true },
  );
  for (const { id, what } of jobs) {
    console.log(`${id} ${what} (${why})`);
    await pool.query("update jobs set done = true where id = $1", [id], { retry: true });
  }
}

/** One look at a time; one that fails is made good by the next. */
const lookSoon = (why: string) => {
  looking = looking.then(() => look(why)).catch((error: Error) => console.error(error.message));
};

pool.onPrimary(({ node, epoch }) => console.log(`primary is ${node}, epoch ${epoch}`));
await pool.listen(
  "jobs",
  // After a gap what was sent meanwhile was not heard: the table knows.
  (heard) => lookSoon(heard.kind === "gap" ? "after a gap" : "told"),
  { signal: stop.signal },
);
lookSoon("at first");
console.log("listening");

stop.signal.addEventListener("abort", async () => {
  await looking;
  await pool.end();
});
