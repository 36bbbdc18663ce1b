/**
 * A server of files, as a program: FTP on port 21 (RFC 959, RFC 2428) and TFTP on port 69 (RFC 1350). The file N has N
 * bytes. Prints a line when it listens.
 */
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';

const BLOCK = 512;

const fileOf = (name: string): Buffer => Buffer.alloc(Number(name.replace(/^\//, '')), 'heddle');
const plain = (address: string): string => address.replace(/^::ffff:/, '');

/** Opens the data connection that a command asked for. */
type Opener = () => Promise<Socket>;

async function listen(control: Socket): Promise<{ port: number; open: Opener }> {
  const server = createServer().listen(0, control.localAddress);
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return { port, open: async () => (await accepted)[0] };
}

async function connect(host: string, port: number): Promise<Socket> {
  const socket = createConnection({ host, port });
  await once(socket, 'connect');
  return socket;
}

function serveFtp(control: Socket): void {
  const say = (line: string) => control.write(`${line}\r\n`);
  let open: Opener = () => Promise.reject(new Error('no PORT, no PASV'));
  const passive = async (line: (port: number) => string) => {
    const listening = await listen(control);
    open = listening.open;
    say(line(listening.port));
  };
  const active = (host: string, port: number) => {
    open = () => connect(host, port);
    say('200 fine');
  };
  const send = async (name: string) => {
    say('150 here it comes');
    const data = await open();
    data.end(fileOf(name));
    await once(data, 'close');
    say('226 done');
  };
  const comma = (port: number) =>
    `${plain(control.localAddress!).replaceAll('.', ',')},${port >> 8},${port & 255}`;
  const commands: Record<string, (argument: string) => unknown> = {
    USER: () => say('331 a password'),
    PASS: () => say('230 welcome'),
    PWD: () => say('257 "/"'),
    TYPE: () => say('200 fine'),
    SIZE: (name) => say(`213 ${fileOf(name).length}`),
    PASV: () => passive((port) => `227 Entering Passive Mode (${comma(port)}).`),
    EPSV: () => passive((port) => `229 Entering Extended Passive Mode (|||${port}|)`),
    PORT: (ends) => {
      const [a, b, c, d, high, low] = ends.split(',');
      active([a, b, c, d].join('.'), Number(high) * 256 + Number(low));
    },
    EPRT: (ends) => {
      const [, , host, port] = ends.split(ends[0]!);
      active(host!, Number(port));
    },
    RETR: send,
    QUIT: () => control.end('221 bye\r\n'),
  };
  let rest = '';
  control.on('error', () => {});
  control.setEncoding('latin1').on('data', async (text) => {
    const lines = `${rest}${text}`.split('\r\n');
    rest = lines.pop()!;
    for (const line of lines) {
      const [command, argument = ''] = line.split(' ');
      const run = commands[command!.toUpperCase()];
      if (run) await Promise.resolve(run(argument)).catch(() => say('425 no data connection'));
      else say('502 unknown');
    }
  });
  say('220 ready');
}

/** Answers a request block by block, from a port of its own. */
async function serveTftp(request: Buffer, client: RemoteInfo): Promise<void> {
  const [name] = request.subarray(2).toString('latin1').split('\0');
  const file = fileOf(name!);
  const socket = createSocket('udp6').bind();
  await once(socket, 'listening');
  for (let block = 1; (block - 1) * BLOCK <= file.length; block++) {
    const header = Buffer.from([0, 3, block >> 8, block]);
    const data = file.subarray((block - 1) * BLOCK, block * BLOCK);
    socket.send(Buffer.concat([header, data]), client.port, client.address);
    await once(socket, 'message');
  }
  socket.close();
}

const ftp = createServer(serveFtp).listen(21, '::');
const tftp = createSocket('udp6').bind(69, '::');
tftp.on('message', serveTftp);
await Promise.all([once(ftp, 'listening'), once(tftp, 'listening')]);
console.log('listening');
