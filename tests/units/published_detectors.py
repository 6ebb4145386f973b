"""The units of AlexNet's conv5 (ImageNet) that detect a concept, as published with network dissection.

Of the published table of 256 units, the 97 whose best score exceeds 0.04: unit, then each category whose best score
exceeds it, with the concept and the score rounded to five digits. Source: CSAILVision/NetDissect (MIT licence),
plot/caffe_reference_imagenet.csv.
"""

_TEXT = """
198 object bicycle .10147 part wheel .21900
245 scene ball_pit-s .05027 texture dotted .21477
105 object stairway .04047 texture banded .14602
91 texture studded .14400
31 object water .14163
154 object bicycle .04012 texture cobwebbed .13233 part wheel .04234
96 object road .12574 scene street-s .04081
20 texture waffled .12277
179 texture honeycombed .12265
223 object cat .12153 part head .11269
13 texture perforated .11248
59 object grass .05721 texture cobwebbed .11125
48 texture chequered .11108
137 object bicycle .05319 texture swirly .05423 part wheel .10241
161 object dog .10114 part muzzle .08253
197 object person .04390 part head .09810
10 object grass .09287
184 object dog .09214 part muzzle .08905
149 texture zigzagged .08792
196 object motorbike .04194 texture dotted .06238 part wheel .08790
230 texture grid .08663
160 object cat .05381 part ear .08499
237 texture perforated .08351
87 object mountain .04417 scene mountain_snowy-s .08288 texture chequered .05914
190 object dog .05537 texture dotted .05668 part muzzle .08077
57 color red-c .07863
158 texture striped .07832
106 object grass .07820
136 object dog .07817 part muzzle .07100
242 object car .07801
176 texture zigzagged .07452
119 object tree .07436
222 object bicycle .04185 part wheel .07433
64 texture chequered .07286
139 object bicycle .07097 part wheel .06969
77 object sea .07065 scene beach-s .05629
210 object painting .07044
248 object cat .06994 part head .04746
61 texture zigzagged .06692
130 texture polka-dotted .06518
164 object dog .06289 part muzzle .04496
239 object car .04311 part wheel .06288
97 texture chequered .06245
43 texture meshed .06230
44 material food .04134 texture sprinkled .06071
141 object dog .04255 part hair .06010
33 color green-c .04072 texture veined .05908
204 part hair .05905
54 color purple-c .04955 texture frilly .05750
140 object person .04986 part hair .05692
155 object cat .05683 part head .05544
128 object ground .04775 texture porous .05590
177 color red-c .05502
132 part arm .05474
32 object sky .05433
144 object dog .05419
252 part wheel .05384
107 object dog .05326
175 texture spiralled .05323
80 texture dotted .05231
93 object tree .05170
194 object skyscraper .04028 texture striped .05152
76 object windowpane .05136
56 object cat .05081
60 color red-c .05044
86 texture cracked .05042
69 material food .05039 texture bumpy .04227
65 texture polka-dotted .05035
14 object sea .05033
211 texture zigzagged .04985
193 part leg .04979
84 texture zigzagged .04957
58 texture zigzagged .04931
256 part wheel .04773
199 material food .04745
36 texture frilly .04671
188 object dog .04667
30 object mountain .04658
151 object motorbike .04647 part muzzle .04001
240 texture zigzagged .04641
81 object book .04625
142 object sidewalk .04583
63 part screen .04562
165 texture dotted .04540
171 texture dotted .04491
75 texture interlaced .04485
2 object mountain .04159 scene mountain_snowy-s .04448
212 object bicycle .04389
1 object sky .04362
213 texture spiralled .04356
231 texture banded .04336
207 object bus .04297
47 material food .04175
74 texture waffled .04155
203 object dog .04147
79 color yellow-c .04108
94 texture crosshatched .04071
"""

CATEGORIES = ("object", "part", "scene", "material", "texture", "color")


def published_rows():
    """The rows as `csv.DictReader` reads them from the published file, without the columns of counts.

    A category whose best score is not above 0.04 has the concept "-" and the score 0.
    """
    rows = []
    for line in _TEXT.strip().splitlines():
        unit, *words = line.split()
        best = {words[k]: (words[k + 1], words[k + 2]) for k in range(0, len(words), 3)}
        category = max(best, key=lambda one: float(best[one][1]))
        row = {"unit": unit, "category": category, "label": best[category][0], "score": best[category][1]}
        for one in CATEGORIES:
            row[f"{one}-label"], row[f"{one}-iou"] = best.get(one, ("-", "0"))
        rows.append(row)
    return rows
