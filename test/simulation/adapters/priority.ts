/** A modelled processor is shared by chance, and nobody goes first. */
export const NICE = { worker: 0, control: 0, others: 0 };

export function putNice(): void {}
