import { plainText, tcpBytes } from '../../testing/stage.ts';
import { inputContract } from '../input.contract.ts';
import { responsePlaneContract } from '../response-plane.contract.ts';
import { tcpResponses } from './index.ts';

const plane = tcpResponses({ tls: plainText });
responsePlaneContract({ plane, bytes: tcpBytes, skip: [] });
inputContract({ plane, bytes: tcpBytes, skip: [] });
