/** docs/nat.md has a row for each requirement of the NAT RFCs, and each row a test of its name, in the same order. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

/** All that the RFCs number, and what they divide by letters. */
const REQUIREMENTS = {
  'RFC 4787': '1 2 3 3a 4 5 5a 5b 5c 6 6a 7 8 8a 9 9a 10 10a 11 12 12a 12b 13 13a 14 14a',
  'RFC 5382': '1 2 2a 3 3a 3b 4 4a 5 5a 6 7 8 8a 9 10',
  'RFC 5508': '1 1a 2 2a 3 3a 3b 3c 3d 4 4a 4b 4c 5 5a 5b 5c 6 7 7a 8 9 10 10a 10b 10c 10d 10e 10f 11',
};
const VERDICTS = ['met', 'not met', 'by configuration'];

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

/** The rows of the table below a heading. */
function rowsOf(document: string, rfc: string): { number: string; about: string; verdict: string }[] {
  const section = document.split(/^##+ /m).find((text) => text.split('\n')[0]!.endsWith(`: ${rfc}`))!;
  return [...section.matchAll(/^\| (\d\w*) +\| (.*?) +\| (.*?) +\| .*\|$/gm)].map((row) => {
    const [, number, about, verdict] = row as string[];
    return { number: number!, about: about!, verdict: verdict! };
  });
}

const namesOf = (source: string): string[] =>
  [...source.matchAll(/^test\(\s*'(.*?)',/gm)].map((name) => name[1]!);

for (const [rfc, numbers] of Object.entries(REQUIREMENTS)) {
  test(`each requirement of ${rfc} has a row, and each row a test`, () => {
    const rows = rowsOf(read('docs/nat.md'), rfc);
    assert.deepEqual(
      rows.map(({ number }) => number),
      numbers.split(' '),
    );
    for (const { number, verdict } of rows) assert.ok(VERDICTS.includes(verdict), `${number}: ${verdict}`);
    assert.deepEqual(
      namesOf(read(`test/conntrack/${rfc.toLowerCase().replace(' ', '')}.test.ts`)),
      rows.map(({ number, about, verdict }) => `REQ-${number}: ${about}, ${verdict}`),
    );
  });
}
