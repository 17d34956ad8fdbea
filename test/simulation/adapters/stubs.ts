/** `pino` and `execa`: imported by the product, and never reached in a simulation. */
export function pino(): never {
  throw new Error("pino is not simulated: a simulated worker has its log passed in");
}
export function execa(): never {
  throw new Error("programs are not simulated");
}
