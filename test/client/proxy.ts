/** Stands between a client and a server, and loses what the test says: an answer, or the question itself. */
import { openRelay } from "../support/relay.ts";

export type Loss =
  /** The message is not passed on: the server sees a client that went away. */
  | "question"
  /** The server does what it was asked, and its answer is thrown away. */
  | "answer"
  /** The same, but the connection stays: nothing comes any more. */
  | "voice";

export interface LossyProxy {
  readonly port: number;
  /** The next message that holds `text` loses that, and its connection; `refuse`: no other is taken. */
  lose(loss: Loss, text: string, then?: "go on" | "refuse"): void;
  /** Bytes wait this long, in both directions. */
  delay(ms: number): void;
  /** From now on each answer stands still for so long with that chance; one question at a time. */
  stall(chance: number, ms: number): void;
  /** Connections that come from now on get no answer until they are let go. */
  hold(): () => void;
  /** Connections that are held. */
  readonly held: number;
  /** How often something was lost. */
  readonly losses: number;
  close(): Promise<void>;
}

export async function openProxy(target: {
  readonly host: string;
  readonly port: number;
}): Promise<LossyProxy> {
  const state = {
    loss: undefined as { loss: Loss; text: string; then: string } | undefined,
    delayMs: 0,
    stall: { chance: 0, ms: 0 },
    losses: 0,
    holding: false,
  };
  const held: (() => void)[] = [];
  const later = (act: () => void, ms = state.delayMs) => (ms === 0 ? act() : setTimeout(act, ms));
  const pauseMs = () => (Math.random() < state.stall.chance ? state.stall.ms : 0);
  const relay = await openRelay(target, (client, server) => {
    let deaf: Loss | undefined;
    let kept: Buffer[] | undefined;
    if (state.holding) {
      const mine: Buffer[] = [];
      kept = mine;
      held.push(() => {
        kept = undefined;
        for (const bytes of mine) client.write(bytes);
      });
    }
    return {
      fromClient: (bytes) => {
        const wanted = state.loss;
        if (wanted !== undefined && bytes.includes(wanted.text)) {
          state.loss = undefined;
          state.losses += 1;
          if (wanted.then === "refuse") relay.refuse();
          if (wanted.loss === "question") {
            server.destroy();
            return;
          }
          deaf = wanted.loss;
        }
        later(() => server.write(bytes));
      },
      fromServer: (bytes) => {
        if (kept !== undefined) kept.push(bytes);
        else if (deaf === "answer") client.destroy();
        else if (deaf === "voice") return;
        else later(() => client.write(bytes), state.delayMs + pauseMs());
      },
    };
  });
  return {
    port: relay.port,
    lose: (loss, text, then = "go on") => {
      state.loss = { loss, text, then };
    },
    delay: (ms) => {
      state.delayMs = ms;
    },
    stall: (chance, ms) => {
      state.stall = { chance, ms };
    },
    hold: () => {
      state.holding = true;
      return () => {
        state.holding = false;
        for (const letGo of held.splice(0)) letGo();
      };
    },
    get held() {
      return held.length;
    },
    get losses() {
      return state.losses;
    },
    close: () => relay.close(),
  };
}
