import { expect, test } from 'vitest';
import { stackEnvironment, workerEnvironment } from './environment.ts';

test('internal planes are on loopback unless somebody says otherwise', () => {
  expect(stackEnvironment({ DYN_TCP_RPC_HOST: '' }, '/r')).toEqual({
    DYN_FILE_KV: '/r',
    DYN_TCP_RPC_HOST: '127.0.0.1',
    DYN_TCP_RESPONSE_STREAM_HOST: '127.0.0.1',
  });
  expect(stackEnvironment({ DYN_TCP_RPC_HOST: '10.0.0.1' }, '/r')).toMatchObject({ DYN_TCP_RPC_HOST: '10.0.0.1' });
});

test('workers take no fixed port from the environment', () => {
  expect(workerEnvironment).toMatchObject({ DYN_TCP_RPC_PORT: '0', DYN_SYSTEM_PORT: '-1' });
});
