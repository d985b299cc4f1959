package channel

import (
	"context"
	"testing"
)

func BenchmarkEcho(b *testing.B) {
	server, client := pair(2048)
	for _, s := range []Security{everySecurity[0], everySecurity[2]} {
		b.Run(name(s), func(b *testing.B) {
			sc, cc := linkTCP(b)
			echo(b, serverConfig(server), sc)
			c, err := Open(context.Background(), cc, clientConfig(s, client, server))
			if err != nil {
				b.Fatal(err)
			}
			body := make([]byte, 100_000)
			b.SetBytes(int64(2 * len(body)))
			for b.Loop() {
				if _, err := c.Do(context.Background(), body); err != nil {
					b.Fatal(err)
				}
			}
			c.Close()
		})
	}
}
