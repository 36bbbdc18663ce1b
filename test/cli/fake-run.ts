/** `heddle run CONFIG [--json] [SECONDS]` around a switch that forwards nothing; says on stderr when it stops. */
import { runInForeground } from '../../src/cli/session.ts';
import { loadConfig } from '../../src/control/config.ts';
import { FakeSwitch } from '../control/fake-switch.ts';

class Talkative extends FakeSwitch {
  override async stop(): Promise<void> {
    console.error('stopped');
    // With this name it never comes to its end.
    if (process.argv[2]!.includes('stuck')) await new Promise(() => setInterval(() => {}, 1000));
  }
}

const [file, json, duration] = process.argv.slice(2);
const config = loadConfig(file!);
await runInForeground(config, new Talkative(), {
  json: json === '--json',
  duration: duration === undefined ? undefined : Number(duration),
});
