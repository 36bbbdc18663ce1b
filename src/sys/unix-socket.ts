/** Files of Unix sockets: whether somebody listens there, or only did. */
import { connect } from 'node:net';

/** Whether somebody answers on the socket at `path`. One that nobody listens on any more may be replaced. */
export function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path, () => probe.destroy());
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false));
  });
}
