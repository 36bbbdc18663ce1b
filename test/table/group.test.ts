/** Groups, meters and bundles in text. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { parseBundle } from '../../src/table/parse-bundle.ts';
import { parseGroup } from '../../src/table/parse-group.ts';
import { parseMeter } from '../../src/table/parse-meter.ts';
import { printGroup } from '../../src/table/print-group.ts';
import { printMeter } from '../../src/table/print-meter.ts';
import { FlowError } from '../../src/table/syntax.ts';

/** What is written, and what `ovs-ofctl -O OpenFlow15 dump-groups` of Open vSwitch 3.1 printed for it. */
const groups: readonly (readonly [string, string])[] = [
  [
    'group_id=1,type=all,bucket=output:1,bucket=output:2',
    'group_id=1,type=all,bucket=bucket_id:0,actions=output:1,bucket=bucket_id:1,actions=output:2',
  ],
  [
    'group_id=1,type=all,bucket=actions=output:1,output:2,bucket=actions=output:3',
    'group_id=1,type=all,bucket=bucket_id:0,actions=output:1,output:2,bucket=bucket_id:1,actions=output:3',
  ],
  [
    'group_id=2,type=select,bucket=weight:5,output:1,bucket=weight:1,output:2',
    'group_id=2,type=select,bucket=bucket_id:0,weight:5,actions=output:1,bucket=bucket_id:1,actions=output:2',
  ],
  [
    'group_id=2,type=select,selection_method=hash,fields(ip_src,ip_dst=255.255.0.0),bucket=bucket_id:0,weight:2,watch_port:1,actions=output:1',
    'group_id=2,type=select,selection_method=hash,fields(ip_src,ip_dst=255.255.0.0),bucket=bucket_id:0,weight:2,watch_port:1,actions=output:1',
  ],
  [
    'group_id=2,type=select,selection_method=hash,fields=ip_src,bucket=output:1',
    'group_id=2,type=select,selection_method=hash,fields=ip_src,bucket=bucket_id:0,actions=output:1',
  ],
  [
    'group_id=2,type=select,selection_method=hash,fields(eth_src=ff:ff:ff:00:00:00,ip_src,tcp_dst,nw_proto,in_port,reg0=0xff,vlan_tci=0xfff),bucket=output:1',
    'group_id=2,type=select,selection_method=hash,fields(in_port,reg0=0xff,eth_src=ff:ff:ff:00:00:00,vlan_tci=0xfff,ip_src,nw_proto,tcp_dst),bucket=bucket_id:0,actions=output:1',
  ],
  [
    'group_id=5,type=select,selection_method=hash,fields(in_port,metadata=0xf,tun_id),bucket=output:1',
    'group_id=5,type=select,selection_method=hash,fields(tun_id,metadata=0xf,in_port),bucket=bucket_id:0,actions=output:1',
  ],
  [
    'group_id=2,type=select,selection_method=dp_hash,selection_method_param=0x5,bucket=output:1',
    'group_id=2,type=select,selection_method=dp_hash,selection_method_param=5,bucket=bucket_id:0,actions=output:1',
  ],
  [
    'group_id=3,type=indirect,bucket=output:1',
    'group_id=3,type=indirect,bucket=bucket_id:0,actions=output:1',
  ],
  [
    'group_id=4,type=fast_failover,bucket=watch_port:1,output:1,bucket=watch_group:5,output:2',
    'group_id=4,type=ff,bucket=bucket_id:0,watch_port:1,actions=output:1,bucket=bucket_id:1,watch_group:5,actions=output:2',
  ],
  ['group_id=5,type=all', 'group_id=5,type=all'],
  [
    'group_id=5,type=all,bucket=bucket_id:7,output:1,bucket=output:3',
    'group_id=5,type=all,bucket=bucket_id:7,actions=output:1,bucket=bucket_id:0,actions=output:3',
  ],
  [
    'group_id=5,type=select,bucket=weight:0,output:1,bucket=weight:65535,output:2',
    'group_id=5,type=select,bucket=bucket_id:0,weight:0,actions=output:1,bucket=bucket_id:1,weight:65535,actions=output:2',
  ],
  ['group_id=5,type=all,bucket=actions=', 'group_id=5,type=all,bucket=bucket_id:0,actions=drop'],
  [
    'group_id=5,type=all,bucket=set_field:1.2.3.4->ip_src,output:1',
    'group_id=5,type=all,bucket=bucket_id:0,actions=set_field:1.2.3.4->ip_src,output:1',
  ],
  [
    'group_id=5 type=all bucket=resubmit(,4) bucket=group:6',
    'group_id=5,type=all,bucket=bucket_id:0,actions=resubmit(,4),bucket=bucket_id:1,actions=group:6',
  ],
  [
    'group_id=5,type=all,bucket=bucket_id=3,actions=output:1,output=2',
    'group_id=5,type=all,bucket=bucket_id:3,actions=output:1,output:2',
  ],
];

const meters: readonly (readonly [string, string])[] = [
  ['meter=1,kbps,band=type=drop,rate=100', 'meter=1 kbps bands=\ntype=drop rate=100'],
  [
    'meter=1,kbps,burst,stats,band=type=drop,rate=100,burst_size=5',
    'meter=1 kbps burst stats bands=\ntype=drop rate=100 burst_size=5',
  ],
  [
    'meter=2 pktps bands=type=drop rate=100,type=drop,rate=5',
    'meter=2 pktps bands=\ntype=drop rate=100\ntype=drop rate=5',
  ],
  [
    'meter=3 kbps bands=type=dscp_remark rate=4294967295 prec_level=1',
    'meter=3 kbps bands=\ntype=dscp_remark rate=4294967295 prec_level=1',
  ],
];

test('groups are printed as OVS prints them, and read again as the same', () => {
  for (const [text, printed] of groups) {
    assert.equal(printGroup(parseGroup(text)), printed, text);
    assert.deepEqual(parseGroup(printed), parseGroup(text), text);
  }
});

test('meters are printed as OVS prints them, and read again as the same', () => {
  for (const [text, printed] of meters) {
    assert.equal(printMeter(parseMeter(text)), printed, text);
    assert.deepEqual(parseMeter(printed.replaceAll('\n', ' ')), parseMeter(text), text);
  }
});

test('ports go by name in groups', () => {
  const ports = new Map([['web', 3]]);
  const group = parseGroup('group_id=1,type=ff,bucket=watch_port:web,web', ports);
  assert.equal(
    printGroup(group, new Map([[3, { name: 'web' }]])),
    'group_id=1,type=ff,bucket=bucket_id:0,watch_port:web,actions=output:web',
  );
});

test('a bundle is a list of changes, flows where nothing else is said', () => {
  const changes = parseBundle(`
    # the whole language
    table=1,ip,actions=group:1
    flow table=2,actions=drop
    flow add table=2,arp,actions=NORMAL
    flow modify ip,actions=1
    flow modify_strict priority=3,ip,actions=1
    flow delete table=3
    flow delete
    flow delete_strict priority=3,ip
    group add group_id=1,type=all,bucket=output:1
    group modify group_id=1,type=all,bucket=output:2
    group add_or_mod group_id=2,type=all
    group delete group_id=2
    group delete group_id=all
    group delete
    meter add meter=1,kbps,band=type=drop,rate=5
    meter modify meter=1,kbps,band=type=drop,rate=6
    meter delete meter=1
    meter delete`);
  const said = changes.map((change) =>
    [
      change.kind,
      change.command,
      'strict' in change && change.strict ? 'strict' : '',
      'id' in change ? change.id : '',
    ]
      .filter((text) => text !== '')
      .join(' '),
  );
  assert.deepEqual(said, [
    'flow add',
    'flow add',
    'flow add',
    'flow modify',
    'flow modify strict',
    'flow delete',
    'flow delete',
    'flow delete strict',
    'group add',
    'group modify',
    'group addOrModify',
    'group delete 2',
    'group delete ',
    'group delete ',
    'meter add',
    'meter modify',
    'meter delete 1',
    'meter delete ',
  ]);
});

const mistakes: [text: string, column: number, message: RegExp][] = [
  ['flow ad ip,actions=1', 6, /unknown command "ad"; did you mean add\?/],
  ['flow delete ip,actions=1', 24, /"actions="; expected a match alone/],
  ['flow add ip,actions=outptu:1', 21, /did you mean output\?/],
  ['group modfy group_id=1', 7, /did you mean modify\?/],
  ['group group_id=1', 1, /a group without type/],
  ['group add type=all', 1, /a group without group_id/],
  ['group add group_id=1,tpye=all', 22, /unknown option "tpye"; did you mean type\?/],
  ['group add group_id=1,type=al', 27, /unknown type of group "al"; did you mean all\?/],
  ['group add group_id=4294967041,type=all', 20, /a group from 0 to/],
  [
    'group add group_id=1,type=all,bucket=weight:3,output:1',
    45,
    /a weight; expected it in select groups only/,
  ],
  ['group add group_id=1,type=all,bucket=', 31, /a bucket without actions/],
  ['group add group_id=1,type=all,bucket=goto_table:3', 38, /"goto_table" inside a bucket/],
  ['group add group_id=1,type=all,bucket=bucket_id:1,drop,bucket=bucket_id:1,drop', 55, /bucket 1 twice/],
  ['group add group_id=1,type=indirect', 1, /an indirect group of 0 buckets/],
  ['group add group_id=1,type=ff,bucket=output:1', 30, /a bucket that nothing watches/],
  ['group add group_id=1,type=select,selection_method=foo', 51, /expected one of dp_hash, hash/],
  ['group add group_id=1,type=select,fields=ip_src', 34, /"fields" without selection_method/],
  [
    'group add group_id=1,type=select,selection_method=dp_hash,fields=ip_src',
    59,
    /"fields" beside dp_hash; expected selection_method=hash/,
  ],
  ['group add group_id=1,type=select,selection_method=hash,fields(ip_scr)', 63, /did you mean ip_src\?/],
  ['group add group_id=1,type=all,selection_method=hash', 31, /it in select groups only/],
  ['group delete group=1', 14, /unknown option "group"/],
  ['meter add meter=0,kbps,band=type=drop,rate=5', 17, /a meter from 1 to/],
  ['meter add kbps,band=type=drop,rate=5', 1, /a meter without its number/],
  ['meter add meter=1,band=type=drop,rate=5', 1, /kbps or pktps/],
  ['meter add meter=1,kbps', 1, /a meter without bands/],
  ['meter add meter=1,kbps,band=rate=5', 29, /a band that begins with type=drop/],
  ['meter add meter=1,kbps,band=type=drop', 29, /a band without rate/],
  ['meter add meter=1,kbps,band=type=dorp,rate=5', 34, /did you mean drop\?/],
  ['meter add meter=1,kbps,burst,band=type=drop,rate=5', 35, /a band without burst_size/],
  ['meter add meter=1,kbps,band=type=drop,rate=5,burst_size=1', 46, /"burst_size" of a meter without burst/],
  ['meter add meter=1,kbps,band=type=drop,rate=0', 44, /rate from 1 to/],
  ['meter add meter=1,kbps,band=type=drop,rate=5,prec_level=1', 46, /"prec_level" of a band that drops/],
];

test('a mistake in a bundle is answered with its place, what was found and what was expected', () => {
  for (const [text, column, message] of mistakes) {
    assert.throws(
      () => parseBundle(`actions=1\n${text}`),
      (error: unknown) => {
        assert.ok(error instanceof FlowError, `${text}: ${error}`);
        assert.match(error.message, message);
        assert.deepEqual([error.line, error.column], [2, column], `${text}: ${error.message}`);
        return true;
      },
      text,
    );
  }
});

test('no text brings the parser of bundles down', () => {
  const words = [
    'flow',
    'group',
    'meter',
    'add',
    'delete',
    ' ',
    ',',
    '=',
    ':',
    '(',
    ')',
    'group_id',
    'type',
    'all',
  ];
  const more = [
    'select',
    'bucket',
    'actions',
    'output',
    '1',
    'kbps',
    'band',
    'rate',
    'drop',
    'fields',
    'ip_src',
  ];
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constantFrom(...words, ...more), fc.string())), (all) => {
      try {
        parseBundle(all.join(''));
      } catch (error) {
        assert.ok(error instanceof FlowError, `${error}`);
      }
    }),
    { numRuns: 1000 },
  );
});
