/** The closed list of log events; one line each, grouped by who says it. Add a name here before logging it. */
export const EVENTS = [
  // worker
  "worker.started",
  "worker.stopping",
  "worker.stopped",
  "worker.failed",
  "worker.service_restarted",
  // control store
  "control.started",
  "control.adopted",
  "control.stopped",
  "control.gone",
  "control.installed",
  // raft
  "raft.leader_silent",
  "raft.peer_lost",
  "raft.peer_back",
  "raft.campaign",
  "raft.leader",
  "raft.follower",
  "raft.transfer",
  "raft.alarm",
  // coordinator
  "coordinator.decided",
  "coordinator.refused",
  // agent
  "agent.decided",
  "agent.failed",
  "agent.pledged",
  "agent.reported",
  "agent.fenced",
  "agent.lease_over",
  "agent.promoted",
  "agent.gate_waits",
  "agent.gate_opened",
  "agent.gate_closed",
  "agent.following",
  "agent.cloning",
  "agent.cloned",
  "agent.drained",
  "deadman.armed",
  "deadman.ended",
  "deadman.gone",
  "deadman.failed",
  "data.started",
  "data.adopted",
  "data.stopped",
  "data.gone",
] as const;

export type EventName = (typeof EVENTS)[number];
