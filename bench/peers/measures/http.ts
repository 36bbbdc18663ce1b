/**
 * Connections per second: one request each, then the server closes. The client's port range is as wide as it
 * gets; past 64,511 requests ports are used again, which the receiver's TIME_WAIT state allows.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { end } from '../../../src/lab/command.ts';
import { appears } from '../appears.ts';
import { ADDRESS } from '../topology.ts';
import type { Measure } from './measure.ts';

const CLIENTS = 50;

export const http: Measure = {
  name: 'http',
  tools: ['nginx', 'wrk'],
  async take({ topology, seconds }) {
    const folder = mkdtempSync(join(tmpdir(), 'heddle-http-'));
    writeFileSync(join(folder, 'nginx.conf'), configuration(folder));
    const server = topology.spawn(
      'receiver',
      ['nginx', '-c', `${folder}/nginx.conf`, '-e', `${folder}/error.log`],
      {
        stdio: 'ignore',
      },
    );
    try {
      await appears(`${folder}/nginx.pid`, server, 5000);
      const settings =
        'echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range; echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse';
      await topology.run('sender', ['sh', '-c', settings]);
      const load = ['-t', '1', '-c', String(CLIENTS), '-d', `${seconds}s`, '-H', 'Connection: close'];
      const output = await topology.run('sender', ['wrk', ...load, `http://${ADDRESS.receiver}/`], {
        timeoutMs: (seconds + 10) * 1000,
      });
      const value = Number(/Requests\/sec:\s*([\d.]+)/.exec(output)?.[1]);
      const requests = Number(/(\d+) requests in/.exec(output)?.[1]);
      if (!(value > 0)) return [{ name: 'http', unit: 'requests/s', failure: 'no request was answered' }];
      const errors = [...(/Socket errors: (.*)/.exec(output)?.[1] ?? '').matchAll(/\d+/g)];
      const parameters = {
        clients: CLIENTS,
        requests,
        socketErrors: errors.reduce((sum, [n]) => sum + Number(n), 0),
      };
      return [{ name: 'http', unit: 'requests/s', value, parameters }];
    } finally {
      await end(server);
      rmSync(folder, { recursive: true });
    }
  },
};

/** One process, nothing outside its folder, and an answer that costs next to nothing. */
function configuration(folder: string): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  );
  return `daemon off; master_process off; worker_rlimit_nofile 65536;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 16384; }
http {
  access_log off;
  ${paths.join(' ')}
  server { listen 80 backlog=4096; location / { return 200 "ok"; } }
}
`;
}
