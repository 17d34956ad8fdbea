/** Nothing is archived here. */
export async function watchArchive(): Promise<boolean> {
  return false;
}
