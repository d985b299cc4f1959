package aggregate

import "github.com/gopcua/opcua/ua"

// The bits of a StatusCode that carry the origin of a historical value (OPC 10000-4 §7.39.1).
const (
	infoTypeDataValue ua.StatusCode = 0x400
	infoTypeMask      ua.StatusCode = 0xC00

	bitRaw            ua.StatusCode = 0x00
	bitCalculated     ua.StatusCode = 0x01
	bitInterpolated   ua.StatusCode = 0x02
	bitPartial        ua.StatusCode = 0x04
	bitMultipleValues ua.StatusCode = 0x10
	bitsMask          ua.StatusCode = 0x1F
)

// withBits returns code with these historian bits and no others.
func withBits(code, bits ua.StatusCode) ua.StatusCode {
	if code&infoTypeMask == infoTypeDataValue {
		code &^= bitsMask
	}
	if bits == bitRaw {
		return code
	}
	return code&^(infoTypeMask|bitsMask) | infoTypeDataValue | bits
}

// ratio returns Good, Uncertain_DataSubNormal or Bad from how much of the whole is good and bad
// (OPC 10000-13 §5.4.3.2.1, and §4.2.1.2 for percentages that meet).
func (c Config) ratio(goodPart, badPart, whole float64) ua.StatusCode {
	meet := int(c.PercentDataGood)+int(c.PercentDataBad) == 100
	if badPart > 0 && !meet && badPart*100 >= float64(c.PercentDataBad)*whole {
		return ua.StatusBad
	}
	if goodPart*100 >= float64(c.PercentDataGood)*whole {
		return ua.StatusOK
	}
	return ua.StatusUncertainDataSubNormal
}

// downgrade returns Uncertain_DataSubNormal if less than all was good.
func downgrade(yes bool) ua.StatusCode {
	if yes {
		return ua.StatusUncertainDataSubNormal
	}
	return ua.StatusOK
}
