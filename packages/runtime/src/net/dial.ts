import { connect, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import type { TlsClient } from './tls.ts';

/** Begins a connection; what is written before it is open waits inside. With `tls`, a name or an address is verified as it was dialled. */
export function dial(target: { readonly host: string; readonly port: number }, tls: TlsClient | undefined): Socket {
  return (tls === undefined ? connect(target) : connectTls({ ...target, ...tls })).setNoDelay(true);
}

/** Calls back once the peer can be talked to: with TLS, when it has shown who it is. */
export const onceOpen = (socket: Socket, callback: () => void): Socket =>
  socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', callback);
