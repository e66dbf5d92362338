import { networkInterfaces } from 'node:os';

/** The address to advertise when none is configured: local IPv4 other than loopback, else IPv6, else 127.0.0.1 (spec runtime-wire 2). */
export function localAddress(): string {
  const addresses = Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter((entry) => !entry.internal && !entry.address.startsWith('fe80:'));
  return (addresses.find((entry) => entry.family === 'IPv4') ?? addresses.find((entry) => entry.family === 'IPv6'))?.address ?? '127.0.0.1';
}

/** `HOST:PORT`, with brackets around IPv6. */
export const formatAddress = (host: string, port: number): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);

/** Splits `HOST:PORT` or `[HOST]:PORT`; undefined for anything else. */
export function parseAddress(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:/]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  return match === null || port > 65_535 ? undefined : { host: match[1] ?? match[2] ?? '', port };
}
