/** What listens, as the kernel tells: no program is asked. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Process } from "./processes.ts";

/** `127.0.0.1:7432`, or the path of a unix socket; of these processes, each once, sorted. */
export function listening(processes: readonly Process[]): string[] {
  const inodes = new Set(processes.flatMap(({ pid }) => socketsOf(pid)));
  const all = [...tcp("/proc/net/tcp"), ...tcp("/proc/net/tcp6"), ...udp(), ...unix()];
  const held = all.filter(({ inode }) => inodes.has(inode)).map(({ name }) => name);
  return [...new Set(held)].sort();
}

interface Socket {
  readonly inode: string;
  readonly name: string;
}

function socketsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? [];
        return inode === undefined ? [] : [inode];
      } catch {
        return []; // closed meanwhile
      }
    });
  } catch {
    return []; // it has ended: it listens no more
  }
}

function rowsOf(path: string): string[][] {
  const [, ...lines] = readFileSync(path, "utf8").trim().split("\n");
  return lines.map((line) => line.trim().split(/\s+/));
}

/** State 0A is LISTEN. */
function tcp(path: string): Socket[] {
  return rowsOf(path)
    .filter((fields) => fields[3] === "0A")
    .map((fields) => ({ inode: fields[9] ?? "", name: addressOf(fields[1] ?? "") }));
}

/** State 07: bound, to whoever sends. The one of PostgreSQL's statistics (before 15) was connected to itself. */
function udp(): Socket[] {
  return [...rowsOf("/proc/net/udp"), ...rowsOf("/proc/net/udp6")]
    .filter((fields) => fields[3] === "07")
    .map((fields) => ({ inode: fields[9] ?? "", name: `udp ${addressOf(fields[1] ?? "")}` }));
}

/** Flag 00010000 is __SO_ACCEPTCON. */
function unix(): Socket[] {
  return rowsOf("/proc/net/unix")
    .filter((fields) => fields[3] === "00010000")
    .map((fields) => ({ inode: fields[6] ?? "", name: fields[7] ?? "" }));
}

/** Hexadecimal words of the host's order: of a PC. */
function addressOf(text: string): string {
  const [address = "", port = ""] = text.split(":");
  const bytes = (address.match(/.{8}/g) ?? []).flatMap((word) =>
    (word.match(/../g) ?? []).reverse().map((byte) => Number.parseInt(byte, 16)),
  );
  const host = bytes.length === 4 ? bytes.join(".") : `[${Buffer.from(bytes).toString("hex")}]`;
  return `${host}:${Number.parseInt(port, 16)}`;
}
