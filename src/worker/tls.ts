/** Certificates are exchanged while everything runs: files that were replaced are taken, and both servers told. */
import { stat } from "node:fs/promises";
import { type Clock, untilBeat } from "../clock/clock.ts";
import type { Config } from "../config/schema.ts";
import type { Log } from "../log/logger.ts";
import type { Binaries } from "../postgres/binaries.ts";
import type { Owner } from "../postgres/owner.ts";
import { postmasterOf, sendSignal } from "../postgres/process-tree.ts";
import { type Installed, installTls } from "./tls-files.ts";

export interface TlsOptions {
  readonly binaries: Binaries;
  readonly owner: Owner | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const LOOK_MS = 1000;
const DAY_MS = 24 * 3600_000;
/** Days before its end at which a certificate is complained of, once a day. */
const WARN_DAYS = 30;

/**
 * Until the signal aborts. Files that do not fit together are refused, and what was in use stays: whoever replaces
 * three files may take his time.
 */
export async function keepTls(config: Config, options: TlsOptions): Promise<void> {
  const { clock, signal } = options;
  if (config.tls === undefined) return new Promise((resolve) => whenAborted(signal, resolve));
  const files = [config.tls.ca, config.tls.cert, config.tls.key];
  let known = "";
  let warned = Number.NEGATIVE_INFINITY;
  let validTo: Date | undefined;
  while (!signal.aborted) {
    const version = (await Promise.all(files.map(versionOf))).join(" ");
    if (version !== known) {
      const installed = await take(config, options, known === "");
      validTo = installed?.validTo ?? validTo;
      // What could not be read or written is tried again at the next look.
      if (installed !== undefined) known = version;
    }
    if (clock.now() - warned > DAY_MS && validTo !== undefined && ends(validTo, options.log)) {
      warned = clock.now();
    }
    await clock.sleep(untilBeat(clock.now(), LOOK_MS), signal);
  }
}

async function take(
  config: Config,
  options: TlsOptions,
  first: boolean,
): Promise<Installed | undefined> {
  const { owner, log } = options;
  try {
    const installed = await installTls(config, owner);
    if (installed.refused !== undefined) {
      log.error(
        { event: "tls.refused" },
        `the certificate in use stays, its files are not taken: ${installed.refused}`,
      );
    } else if (installed.changed) {
      log.info(
        { event: "tls.replaced", validTo: installed.validTo?.toISOString() },
        "another certificate is in use",
      );
    }
    // At the first look the servers may run on from before, with what was there then.
    if (installed.changed || first) await reloadServers(config, options);
    return installed;
  } catch (error) {
    log.warn({ event: "tls.refused", error: String(error) }, "could not look at the certificate");
    return undefined;
  }
}

/** Those that run read the files again; one that does not will when it starts. */
async function reloadServers({ control, data }: Config, { binaries }: TlsOptions): Promise<void> {
  for (const dir of [control.dir, ...(data === undefined ? [] : [data.dir])]) {
    const postmaster = await postmasterOf(dir, binaries);
    if (postmaster !== undefined) sendSignal(postmaster, "SIGHUP");
  }
}

/** Says so, and whether it did. The calendar, not a clock of ours: that is what certificates go by. */
function ends(validTo: Date, log: Log): boolean {
  const days = Math.floor((validTo.getTime() - Date.now()) / DAY_MS);
  if (days >= WARN_DAYS) return false;
  const text =
    days < 0
      ? "the certificate has expired: members refuse each other"
      : `the certificate expires in ${days} days`;
  log[days < 0 ? "error" : "warn"]({ event: "tls.expires", validTo: validTo.toISOString() }, text);
  return true;
}

async function versionOf(path: string): Promise<string> {
  return await stat(path, { bigint: true }).then(
    ({ ino, size, ctimeNs }) => `${ino}:${size}:${ctimeNs}`,
    (error: NodeJS.ErrnoException) => `${error.code}`,
  );
}

function whenAborted(signal: AbortSignal, resolve: () => void): void {
  if (signal.aborted) resolve();
  else signal.addEventListener("abort", () => resolve(), { once: true });
}
