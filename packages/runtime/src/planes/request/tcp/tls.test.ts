import { describe } from 'vitest';
import { missingOpenssl } from '../../../testing/certificates.ts';
import { bytesOver, plainText } from '../../testing/stage.ts';
import { mutualTls } from '../../testing/tls.ts';
import { requestPlaneContract } from '../request-plane.contract.ts';
import { tcpRequests } from './index.ts';

const reason = missingOpenssl();
const tls = reason === undefined ? await mutualTls() : plainText;

describe.skipIf(reason !== undefined)(`over TLS (${reason ?? 'both sides show certificates'})`, () => {
  requestPlaneContract({
    plane: tcpRequests({ tls }),
    bytes: bytesOver(tls),
    transport: (address, path) => ({ tcp: `${address}/${path}` }),
    unknown: ['Server unavailable: unknown endpoint gone'],
    skip: [],
  });
});
