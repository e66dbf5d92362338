import { BlockList, isIP } from 'node:net';

const subnets: readonly string[] = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];

/** The last five are ours: old mapped and site-local addresses, Teredo, and the private NAT64 prefix lead into networks nobody named. */
const subnets6: readonly string[] = ['fc00::/7', 'fe80::/10', 'ff00::/8', '::/96', '::ffff:0:0/96', 'fec0::/10', '2001::/32', '64:ff9b:1::/48'];

function listOf(nets: readonly string[], type: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const subnet of nets) {
    const [net, bits] = subnet.split('/');
    list.addSubnet(net as string, Number(bits), type);
  }
  return list;
}

/** Ranges that no fetch may reach unless private addresses are allowed (spec multimodal 3). Two lists: in one, the mapped range takes all of IPv4 in. */
const blocked4: BlockList = listOf(subnets, 'ipv4');
const blocked6: BlockList = listOf(subnets6, 'ipv6');

/** Names that mean this machine or what runs it (spec multimodal 3). */
const blockedNames: ReadonlySet<string> = new Set([
  'localhost',
  'localhost.localdomain',
  'ip6-localhost',
  'ip6-loopback',
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'kubernetes.default',
  'kubernetes.default.svc',
]);

/** Ours beyond the spec: whole zones that exist only inside a machine, a cluster or a private network. */
const blockedZones: readonly string[] = ['.localhost', '.localdomain', '.local', '.internal', '.svc'];

/** The eight 16-bit groups of an IPv6 address without a zone. */
function groupsOf(address: string): number[] {
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  let text = address;
  if (dotted !== null) {
    const [a, b, c, d] = dotted.slice(1).map(Number) as [number, number, number, number];
    text = `${address.slice(0, dotted.index)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [head = '', tail] = text.split('::') as [string, string?];
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = tail === undefined ? [] : Array.from({ length: 8 - front.length - back.length }, () => '0');
  return [...front, ...middle, ...back].map((group) => Number.parseInt(group, 16));
}

/** The IPv4 address that a translator would take out of it: NAT64's well-known prefix and 6to4. */
function embedded(address: string): string | undefined {
  const groups = groupsOf(address);
  const at = groups[0] === 0x64 && groups[1] === 0xff9b ? 6 : groups[0] === 0x2002 ? 1 : undefined;
  if (at === undefined) return undefined;
  const [high, low] = [groups[at] as number, groups[at + 1] as number];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** Whether an address, as `dns.lookup` or `URL` spell it, lies in a blocked range or leads into one. */
export function isBlockedAddress(address: string): boolean {
  const version = isIP(address);
  if (version === 4) return blocked4.check(address, 'ipv4');
  // A zone names an interface of this machine; what is no address at all is nothing to connect to.
  if (version === 0 || address.includes('%')) return true;
  if (blocked6.check(address, 'ipv6')) return true;
  const inner = embedded(address);
  return inner !== undefined && blocked4.check(inner, 'ipv4');
}

/** Whether a host name, in lower case and without its trailing dot, is one of the machine's or the cluster's own. */
export function isBlockedName(host: string): boolean {
  return blockedNames.has(host) || blockedZones.some((zone) => host.endsWith(zone));
}
