/** The URL that a program on this machine uses for an address that is listened on: nobody connects to "all interfaces". */
export const reachable = (address: string): string => address.replace('//0.0.0.0', '//127.0.0.1').replace('//[::]', '//[::1]');
