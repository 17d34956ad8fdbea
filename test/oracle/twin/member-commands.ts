/** Commands about who is a member: known, readmitted after the loss of its control store, heard in votes. */
import { type Command, done, int, memberOf, refused, text, withMember } from "./effects.ts";

export const register: Command = (cluster, body) => {
  const id = int(body.node_id);
  const member = memberOf(cluster, id);
  if (member === undefined) return refused(cluster, "unknown_member");
  const incarnation = text(body.incarnation);
  if (member.incarnation !== incarnation && member.incarnation !== null) {
    return refused(cluster, "incarnation_differs");
  }
  const state = member.state === "initial" ? "registered" : member.state;
  const changes = withMember(cluster, id, { incarnation, state });
  if (member.incarnation !== null) return done(cluster, changes);
  const event = { event: "member_registered", node_id: id, from_state: member.state };
  return done(cluster, changes, { ...event, to_state: "registered" });
};

export const readmit: Command = (cluster, body) => {
  const id = int(body.node_id);
  const member = memberOf(cluster, id);
  const incarnation = text(body.incarnation);
  if (member === undefined) return refused(cluster, "unknown_member");
  if (member.incarnation !== text(body.replaces)) return refused(cluster, "stale_incarnation");
  if (member.incarnation === null) return refused(cluster, "never_registered");
  if (incarnation === member.incarnation || cluster.former.has(`${id}/${incarnation}`)) {
    return refused(cluster, "used_incarnation");
  }
  if (!cluster.members.some(({ node_id, voter }) => voter && node_id !== id)) {
    return refused(cluster, "last_voter");
  }
  const former = new Set([...cluster.former, `${id}/${member.incarnation}`]);
  const changes = { ...withMember(cluster, id, { incarnation, voter: false }), former };
  const from_state = member.voter ? "voter" : "learner";
  const event = { event: "member_readmitted", node_id: id, from_state, to_state: "learner" };
  return done(cluster, changes, event);
};

export const voter: Command = (cluster, body) => {
  const id = int(body.node_id);
  const member = memberOf(cluster, id);
  if (member === undefined) return refused(cluster, "unknown_member");
  const same = member.incarnation === text(body.incarnation);
  if (!same) return refused(cluster, "incarnation_differs");
  if (member.voter) return refused(cluster, "votes_already");
  const event = { event: "member_votes", node_id: id, from_state: "learner", to_state: "voter" };
  return done(cluster, withMember(cluster, id, { voter: true }), event);
};
