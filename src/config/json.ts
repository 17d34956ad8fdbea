/** Text from a file that anybody may have cut short or written into. */

/** Undefined for what is no JSON: the schema that it is given to then says what was expected. */
export function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
