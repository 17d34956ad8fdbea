/** Decision tables: the first row whose conditions all hold is the one that applies. */

/** A row's conditions; a fact that is left out may be anything. */
export interface TableRow<Facts> {
  readonly when: Partial<Facts>;
}

/** Pure: same facts, same row. Throws when no row applies: a table covers every set of facts. */
export function rowFor<Facts extends object, Row extends TableRow<Facts>>(
  rows: readonly Row[],
  facts: Facts,
): Row {
  const row = rows.find(({ when }) => holds(when, facts));
  if (row === undefined) throw new Error(`no rule for ${JSON.stringify(facts)}`);
  return row;
}

function holds<Facts extends object>(when: Partial<Facts>, facts: Facts): boolean {
  return (Object.keys(when) as (keyof Facts)[]).every((key) => when[key] === facts[key]);
}
