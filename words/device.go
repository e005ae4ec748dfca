package words

import (
	"strings"

	"github.com/mileusna/useragent"
)

// maxAgent bounds what is parsed of a User-Agent header, in bytes.
const maxAgent = 512

// Device tells which browser and operating system a User-Agent header claims, as
// "Chrome" and "macOS"; either is "" when we do not know it. It is for showing
// only: everybody can send any header. For the same reason only names from the
// lists below come back, never a text of the sender's: these words stand in mails.
func Device(agent string) (browser, system string) {
	if len(agent) > maxAgent {
		agent = agent[:maxAgent]
	}
	ua := useragent.Parse(agent)
	return browsers[ua.Name], systemOf(ua)
}

// Device words a User-Agent header: "Chrome on macOS", "an unknown browser".
// Gatehouse's own clients send a header that begins with "Gatehouse".
func (c *Catalogue) Device(agent string) string {
	if strings.HasPrefix(agent, "Gatehouse") {
		return c.Say("device.api")
	}
	browser, system := Device(agent)
	switch {
	case browser != "" && system != "":
		return c.Say("device.both", "browser", browser, "system", system)
	case browser != "":
		return browser
	case system != "":
		return c.Say("device.system", "system", system)
	}
	return c.Say("device.unknown")
}

var browsers = map[string]string{
	useragent.Chrome:           "Chrome",
	useragent.HeadlessChrome:   "Chrome",
	useragent.Firefox:          "Firefox",
	useragent.Safari:           "Safari",
	useragent.MobileSafari:     "Safari",
	useragent.Edge:             "Edge",
	useragent.Opera:            "Opera",
	useragent.OperaMini:        "Opera Mini",
	useragent.OperaTouch:       "Opera",
	useragent.Vivaldi:          "Vivaldi",
	useragent.InternetExplorer: "Internet Explorer",
	useragent.SamsungBrowser:   "Samsung Internet",
	"curl":                     "curl",
	"Go-http-client":           "a Go program",
}

func systemOf(ua useragent.UserAgent) string {
	if ua.Device == "iPad" {
		return "iPadOS"
	}
	return systems[ua.OS]
}

var systems = map[string]string{
	useragent.Windows:  "Windows",
	useragent.MacOS:    "macOS",
	useragent.IOS:      "iOS",
	useragent.Android:  "Android",
	useragent.Linux:    "Linux",
	useragent.ChromeOS: "ChromeOS",
	useragent.FreeBSD:  "FreeBSD",
	useragent.Harmony:  "HarmonyOS",
}
