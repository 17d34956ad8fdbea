/** All nodes order text alike here. */
export async function watchCollations(): Promise<string> {
  return "";
}
