// Verify a webhook (Standard Webhooks 1.0). Go 1.18 or newer, standard library only.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"time"
)

const toleranceSeconds = 300

// Verify says whether body, exactly as received, was signed with secret.
func Verify(secret, id, timestamp, signatures string, body []byte, now int64) bool {
	sentAt, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || sentAt < now-toleranceSeconds || sentAt > now+toleranceSeconds {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(append([]byte(id+"."+timestamp+"."), body...))
	right := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for _, entry := range strings.Split(signatures, " ") { // several while a secret is rotated
		if hmac.Equal([]byte(entry), right) {
			return true
		}
	}
	return false
}

func main() { // go run verify.go ID TIMESTAMP SIGNATURES [NOW] < body
	now := time.Now().Unix()
	if len(os.Args) > 4 {
		now, _ = strconv.ParseInt(os.Args[4], 10, 64)
	}
	body, err := io.ReadAll(os.Stdin)
	secret := os.Getenv("WEBHOOK_SECRET")
	if err != nil || !Verify(secret, os.Args[1], os.Args[2], os.Args[3], body, now) {
		log.Fatal("not verified")
	}
}
