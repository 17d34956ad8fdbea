/** Text in a command, where no parameter can stand. */

/** standard_conforming_strings is on by default, and no backslash is special with E'' left out. */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
export const identifier = (text: string): string => `"${text.replaceAll('"', '""')}"`;
