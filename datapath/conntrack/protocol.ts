/**
 * What packets do to their connections, by the protocol of the original tuple, which is there already. Called with the
 * connection's lock held, or before it is published.
 *
 * Both set `connection.timeout` to the TIMEOUT_… that is in force from this packet on. After UPDATE_VALID and
 * UPDATE_VALID_NEW, and when it begins, the connection's time begins anew; after the others its expiry stays.
 */
import { PROTO_TCP } from '../packet/headers';
import { Connection, ORIGINAL, tupleOf } from './connection';
import { advanceIcmp, beginIcmp } from './icmp';
import { advanceOther, beginOther } from './other';
import { Segment } from './segment';
import { advanceTcp, beginTcp } from './tcp';
import { isIcmp } from './tuple';

/** Whether the packet may begin a connection; then the record, zeros so far, says what is known of both ends. */
export function beginConnection(connection: Connection, segment: Segment): bool {
  const proto = tupleOf(connection, ORIGINAL).proto;
  if (proto == PROTO_TCP) return beginTcp(connection, segment);
  return isIcmp(proto) ? beginIcmp(connection) : beginOther(connection);
}

/** What a packet in `direction` does to the connection: UPDATE_… */
export function advanceConnection(connection: Connection, direction: u32, segment: Segment): u32 {
  const proto = tupleOf(connection, ORIGINAL).proto;
  if (proto == PROTO_TCP) return advanceTcp(connection, direction, segment);
  return isIcmp(proto) ? advanceIcmp(connection, direction) : advanceOther(connection, direction);
}
