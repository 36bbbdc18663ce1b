/** Why nothing was sent, when nothing was: of all that went wrong on the way, what tells most. */
import {
  DROP_FLOW,
  DROP_NO_LIVE_BUCKET,
  DROP_NO_SUCH_GROUP,
  DROP_NO_SUCH_METER,
  DROP_NO_SUCH_PORT,
  DROP_OUTPUT_TO_INGRESS,
  DROP_RECIRCULATION_LOST,
  DROP_RESERVED_MULTICAST,
  DROP_RESUBMIT_LIMIT,
  DROP_STATE_FULL,
  DROP_TABLE_MISS,
  DROP_TTL_EXPIRED,
} from '../datapath.ts';

/** The most telling last. */
const TELLING = [
  DROP_FLOW,
  DROP_TABLE_MISS,
  DROP_RESERVED_MULTICAST,
  DROP_OUTPUT_TO_INGRESS,
  DROP_NO_LIVE_BUCKET,
  DROP_NO_SUCH_PORT,
  DROP_NO_SUCH_GROUP,
  DROP_NO_SUCH_METER,
  DROP_STATE_FULL,
  DROP_TTL_EXPIRED,
  DROP_RECIRCULATION_LOST,
  DROP_RESUBMIT_LIMIT,
];

export class Fate {
  /** A DROP_…. */
  reason = DROP_FLOW;

  because(reason: number): void {
    if (TELLING.indexOf(reason) > TELLING.indexOf(this.reason)) this.reason = reason;
  }
}
