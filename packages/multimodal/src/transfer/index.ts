import { SharedMemoryTransfer } from './shared-memory/index.ts';
import { TcpTransfer } from './tcp/index.ts';
import type { Transfer, TransferOptions } from './transfer.ts';

/** Every way to move bytes. A native RDMA agent would be one more line. */
export const transfers: Readonly<Record<TransferName, (options: TransferOptions) => Transfer>> = {
  tcp: (options) => new TcpTransfer(options),
  'shared-memory': (options) => new SharedMemoryTransfer(options),
};

/** Names of the transfers. */
export type TransferName = 'tcp' | 'shared-memory';
